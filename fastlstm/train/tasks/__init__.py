"""What can be learned: a task says what a step does with a batch and how a model is measured."""
