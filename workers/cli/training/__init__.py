"""What `wardstream train` does for each model: read the sets, call the trainer. One file a model."""
