"""The pages of the peers: none. Those of the demo need taskq."""

urlpatterns: list[object] = []
