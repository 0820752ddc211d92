"""Training of nets: from rows to a net with weights.

=========================== =====================================================================
`options`                   all options of the training, checked
`segments`                  segments cut out of the tracks of a store, in whole batches
`segment_augmentations`     augmentations of a batch of segments
`losses`, `optimizers`,     families of the registry
`schedules`
`model`                     the trained net: scores of tracks and hidden layers
`task`                      everything that a training consists of, in one object
`fit`                       a whole training, from a checkpoint or the initial weights
`loop`                      the training loop: steps and epochs
`arithmetic`, `compiling`   the precision of a net, and whether it is compiled
`objective`, `adversary`    the loss of a step; a head whose gradient is reversed
`device_batches`            batches on the device of the training
`processes`                 several processes that train one net, a device each
`validation`                what is measured after each epoch
`checkpoint`                the file that an interrupted training goes on from
`diagnosis`                 errors and hints of a training that goes wrong
`logs`                      TensorBoard, Weights & Biases, MLflow
`batch_size`, `lr_finder`,  a batch size and a learning rate, found by trial
`trial_step`
`speed`                     how fast nets train, against bare loops of torch
`interpret`, `grad_cam`     filters, attributions and Grad-CAM of a trained net
=========================== =====================================================================

No random generator lives on from batch to batch. A batch follows from (seed, epoch, step) and the
dropout of an epoch from (seed, epoch, process), so neither the number of workers nor an
interruption changes a training.
"""
