"""`train_imdb` with a comparison: several nets and a bag of words on equal budgets."""
