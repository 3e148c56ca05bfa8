"""From what laboratories report to log means with sampling covariance: NumPy in, NumPy out."""
