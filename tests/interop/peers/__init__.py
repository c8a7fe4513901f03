"""Foreign peers and the tools to judge what they got. Standard library only."""
