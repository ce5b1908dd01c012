"""Inodes and bytes that a stack takes: the formula of each driver, checked to the inode."""
