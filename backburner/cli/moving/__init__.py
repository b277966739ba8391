"""What `backburner move` is made of: which jobs are carried, and how."""
