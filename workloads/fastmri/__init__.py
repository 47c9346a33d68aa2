"""fastMRI: knee images from a quarter of their k-space, by a U-Net."""
