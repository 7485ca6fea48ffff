"""The network: `transformer` (tokens to states), `heads` (states to distributions), `weights`."""
