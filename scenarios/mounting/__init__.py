"""What mounting a container costs as layers grow, by hand and by Docker."""
