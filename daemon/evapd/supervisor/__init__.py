"""`evapd run`: starts twin, guard and acquire, watches over them, and stops them in order."""
