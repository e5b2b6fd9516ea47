"""What the runs are built of: servers, proxies, pools, processes, and the limits set on them."""
