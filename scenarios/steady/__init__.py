"""After the copy_up: reading and writing a file that is still in the image, one already in upper, and a plain one."""
