"""Long work on a box: environments, weights, generation; detached jobs around all of them."""
