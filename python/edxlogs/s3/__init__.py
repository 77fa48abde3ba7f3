"""Amazon S3: requests, their errors, retries, and the bytes of one object."""
