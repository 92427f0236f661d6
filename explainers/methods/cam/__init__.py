"""Parts of class activation map methods: channels, target scores, per-image optimisation."""
