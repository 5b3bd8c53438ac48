import sys, warnings
sys.stderr = sys.stdout
warnings.warn("careful")
