"""`train_imdb --compare`: several nets and a bag of words on equal budgets."""
