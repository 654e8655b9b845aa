"""Gigapixel slides: tiles, TFRecord shards, trained classifiers, slide-level scores and heatmaps."""
