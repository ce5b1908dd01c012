"""Container engines, each as a private instance below a directory of ours: no engine of the user's is ever asked."""
