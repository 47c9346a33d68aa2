"""LibriSpeech: read English, from sound to text, by a Conformer or by DeepSpeech."""
