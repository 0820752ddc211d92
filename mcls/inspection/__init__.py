"""Look at what is there: ``mcls info`` and ``mcls plot``, from files to text and figures."""
