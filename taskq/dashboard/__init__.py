"""The dashboard: what the queue does, in a browser.

``path("taskq/", include("taskq.dashboard.urls"))`` shows it. Its figures are those that pools
measure (``taskq.statistics``); nothing here counts the rows of the task table.
"""
