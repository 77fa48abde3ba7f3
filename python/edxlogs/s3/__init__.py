"""Amazon S3: requests, their errors, what is tried again, and the bytes of one object."""
