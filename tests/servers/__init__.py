"""Real FTP servers on loopback, one file for each, behind one contract (`base.FtpServer`).

    vsftpd.py    vsftpd, from the distribution
    proftpd.py   ProFTPD, from the distribution or unpacked by install.sh
    pureftpd.py  Pure-FTPd, likewise; needs root
    pyftpd.py    pyftpdlib, installed with the package's extra `dev`
    proxy.py     a counting and cutting proxy for the control connection of any of them
    wire.py      a proxy that carries data connections as well, counts round trips and makes faults

What they answer to odd commands stands in docs/servers.md.
"""
