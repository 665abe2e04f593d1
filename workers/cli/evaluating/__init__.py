"""What `wardstream evaluate` does for each model: read what the folder holds, put the questions. One file a model."""
