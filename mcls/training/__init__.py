"""Training of nets: rows in, a net with weights out.

======================== =======================================================================
`options`                every option of the training, checked
`segments`               tracks of a store cut into segments; whole batches from the memory map
`segment_augmentations`  what may be done to a batch of segments
`losses`, `optimizers`,  families of the registry, one file each
`schedules`
`model`                  the trained net: scores of tracks, hidden layers; needs torch alone
`learner`                one epoch: a LightningModule
`batch_size`,            what to begin with, by trial
`range_test`, `trial`
`fit`                    all epochs: from the first weights to the kept ones
`state`                  what a killed training goes on from
`watch`                  figures that say how the training goes
======================== =======================================================================

Nothing is drawn from a generator that lives on from batch to batch. What a batch holds follows from
(seed, epoch, step), and what dropout leaves out from (seed, epoch, device), so neither the number
of loader workers nor a kill in between can change it.

Lightning is imported by `learner` and `fit` only, so that scoring with a net starts without it.
"""
