"""Container engines, each as a private instance below a directory of this suite; the user's engines are not used."""
