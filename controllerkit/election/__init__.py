"""Who acts: a Lease that one of several processes holds, and the gate that stops writes once it has expired."""
