"""What the roles need of Ansible and Ansible lacks: one module, four actions, one lookup."""
