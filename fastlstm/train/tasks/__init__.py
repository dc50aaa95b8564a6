"""What can be learned: each task says what a step does with a batch and how a model is measured."""
