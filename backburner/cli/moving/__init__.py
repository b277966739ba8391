"""What `backburner move` is made of: which jobs and schedules are carried, and how."""
