"""The consumer: the Celery worker, and the steps that send files and publish them."""
