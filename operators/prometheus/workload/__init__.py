"""What runs the programs: StatefulSets, Services, Secrets and what is mounted of them."""
