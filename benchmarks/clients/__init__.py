"""The clients that are compared, one file for each, behind one contract (`base.Client`)."""

from benchmarks.clients.base import Client
from benchmarks.clients.engine import Engine
from benchmarks.clients.lftp import Lftp
from benchmarks.clients.ncftp import Ncftp
from benchmarks.clients.plain_ftputil import PlainFtputil
from benchmarks.clients.rclone import Rclone
from benchmarks.clients.whole_command import WholeCommand

CLIENTS: dict[str, Client] = {
    client.name: client
    for client in (Engine(), Lftp(), WholeCommand(), Rclone(), Ncftp(), PlainFtputil())
}
