"""Train one workload with one submission: python train.py workload=digits submission=nadamw."""

from algoperf_pt.cli import main

if __name__ == "__main__":
    main()
