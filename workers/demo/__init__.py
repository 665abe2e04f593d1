"""The live demonstration: a ward on this machine, with everything that it needs started and stopped again."""
