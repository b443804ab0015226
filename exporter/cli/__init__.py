"""Commands of the command line, one module each; registered in cli.py."""
