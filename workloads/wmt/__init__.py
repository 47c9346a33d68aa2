"""German to English translation: an encoder-decoder Transformer, judged by BLEU."""
