"""What the labels and answers tell about themselves: agreement, worker quality, audits, tracks, time, cost, defects.

Each module is pure numpy over one group of rows; `tables` has the results' schemas.
"""
