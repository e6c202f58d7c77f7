"""Speed, as ratios from one run: the product beside a floor without logic and a hand-written loop."""
