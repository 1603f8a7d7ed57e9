import socket
import threading


class Client:
    def __init__(self, address):
        self.connection = socket.create_connection(address)

    def follow(self):
        threading.Thread(target=self.connection.recv, args=(1,), name="follower").start()

    def close(self):
        self.connection.close()
