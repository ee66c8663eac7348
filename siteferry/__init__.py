"""siteferry publishes websites to FTP/FTPS hosting, and brings them back.

Importing it does nothing.
"""

__version__ = "0.1.0"
