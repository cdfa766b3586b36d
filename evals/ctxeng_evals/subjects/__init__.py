"""What can be evaluated: baselines, parts of ctxeng, whole apps, functions, peers."""
