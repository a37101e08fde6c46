"""What runs on a box: standard library only, any Python from 3.8 on, and nothing of the controller."""
