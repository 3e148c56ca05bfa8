"""What draws say: ranks, R-hat, effective sample sizes, Monte-Carlo errors, intervals."""
