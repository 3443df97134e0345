"""Jasmin as an SMSC, with the Redis and RabbitMQ that it needs, all on loopback ports of their own in a folder of its own.

    jasmin_smsc.py HOST PORT      the SMSC behind it, as which `voxea` / `secret` may bind too

What an ESME submits to Jasmin goes to that SMSC; what that delivers goes to the ESME. Says one line of JSON when it
serves, and ends, with all that it started, when its standard input does.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ESME = ("voxea", "secret")
PATIENCE = 90

DAEMON = """
import signal, sys
from jasmin.bin.jasmind import JasminDaemon, Options
from jasmin.managers.listeners import SMPPClientSMListener
from twisted.internet import reactor

# 0.11.1 looks for the response of a text in one part in its request, and then knows no receipt for it.
told = SMPPClientSMListener.submit_sm_resp_event


def submit_sm_resp_event(self, transaction, message):
    pdu = transaction.request
    while pdu is not None:
        pdu.response = transaction.response
        pdu = getattr(pdu, "nextPdu", None)
    return told(self, transaction, message)


SMPPClientSMListener.submit_sm_resp_event = submit_sm_resp_event
options = Options()
options.parseOptions(sys.argv[1:])
# Its own main holds a lock under a fixed name in /tmp.
JasminDaemon(options).start()
reactor.run()
"""


def free():
    """A port that is free now; should somebody take it meanwhile, its server does not come up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, ready):
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Console:
    """Jasmin's jCli, a telnet console that prompts."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.settimeout(30)
        # It greets without a prompt.
        self.read((b"\n",), b"Session ref")

    def read(self, ends=(b"jcli : ", b"> "), mark=b""):
        said = b""
        while not (said.endswith(ends) and mark in said):
            try:
                piece = self.socket.recv(4096)
            except TimeoutError as error:
                raise RuntimeError(said) from error
            if not piece:
                raise EOFError(said)
            said += piece
        return said.decode(errors="replace")

    def say(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.read()

    def add(self, command, **keys):
        self.say(command)
        for name, value in keys.items():
            self.say(f"{name} {value}")
        said = self.say("ok")
        if "uccessfully" not in said:
            raise RuntimeError(f"{command}: {said}")


def start(folder, children):
    def spawn(command, **environment):
        with open(os.path.join(folder, "log"), "ab") as log:
            process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )
        children.append(process)
        return process

    names = ["redis", "epmd", "distribution", "amqp", "smpp", "smpp_pb", "router", "clients", "jcli"]
    ports = {name: free() for name in names}
    spawn(["redis-server", "--port", str(ports["redis"]), "--bind", "127.0.0.1", "--save", "", "--dir", folder])
    # Its own name server for Erlang: RabbitMQ would start one that outlives it.
    spawn(["epmd", "-address", "127.0.0.1", "-port", str(ports["epmd"])], ERL_EPMD_RELAXED_COMMAND_CHECK="1")
    until("epmd", lambda: listens(ports["epmd"]))
    base = os.path.join(folder, "rabbit")
    os.mkdir(base)
    plugins = os.path.join(base, "plugins")
    with open(plugins, "w") as file:
        file.write("[].\n")
    program = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    spawn(
        [program],
        HOME=base,
        ERL_EPMD_PORT=str(ports["epmd"]),
        ERL_EPMD_ADDRESS="127.0.0.1",
        RABBITMQ_NODENAME=f"voxea{os.getpid()}@localhost",
        RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
        RABBITMQ_NODE_PORT=str(ports["amqp"]),
        RABBITMQ_DIST_PORT=str(ports["distribution"]),
        RABBITMQ_MNESIA_BASE=os.path.join(base, "data"),
        RABBITMQ_LOG_BASE=os.path.join(base, "log"),
        RABBITMQ_PID_FILE=os.path.join(base, "pid"),
        RABBITMQ_CONF_ENV_FILE="/dev/null",
        RABBITMQ_CONFIG_FILE=os.path.join(base, "none"),
        RABBITMQ_ENABLED_PLUGINS_FILE=plugins,
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
    )
    until("RabbitMQ", lambda: listens(ports["amqp"]))

    import txamqp

    specification = os.path.join(os.path.dirname(txamqp.__file__), "specs", "standard", "amqp0-9-1.stripped.xml")
    sections = {
        "amqp-broker": {"port": ports["amqp"], "spec": specification},
        "redis-client": {"port": ports["redis"]},
        "smpp-server": {"bind": "127.0.0.1", "port": ports["smpp"]},
        "smpp-server-pb": {"bind": "127.0.0.1", "port": ports["smpp_pb"]},
        "router": {"bind": "127.0.0.1", "port": ports["router"], "store_path": folder},
        "client-management": {"bind": "127.0.0.1", "port": ports["clients"], "store_path": folder},
        "dlr": {"dlr_lookup_retry_delay": 1},
        "jcli": {"port": ports["jcli"], "authentication": "no"},
    }
    config = os.path.join(folder, "jasmin.cfg")
    with open(config, "w") as file:
        for section, options in sections.items():
            file.write(f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()) + "\n")
    services = ["--enable-deliver-thrower", "--enable-dlr-thrower", "--enable-dlr-lookup", "--disable-http-api"]
    spawn([sys.executable, "-c", DAEMON, "-c", config, *services], LOG_PATH=folder, CONFIG_PATH=folder, ROOT_PATH=folder)
    until("Jasmin", lambda: listens(ports["jcli"]) and listens(ports["smpp"]))
    return ports


def configure(console, host, port):
    console.add("smppccm -a", cid="behind", host=host, port=port, username=ESME[0], password=ESME[1], bind="transceiver",
                con_fail_delay=1, con_loss_delay=1, submit_throughput=0, requeue_delay=1, elink_interval=5)
    console.add("group -a", gid="halls")
    console.add("user -a", uid="voxea", gid="halls", username=ESME[0], password=ESME[1])
    console.add("mtrouter -a", type="DefaultRoute", connector="smppc(behind)", rate="0.0")
    console.add("morouter -a", type="DefaultRoute", connector=f"smpps({ESME[0]})")
    console.say("smppccm -1 behind")
    until("its bind behind", lambda: "BOUND_TRX" in console.say("smppccm -l"))


def main():
    folder = tempfile.mkdtemp(prefix="voxea-jasmin")
    children = []
    try:
        ports = start(folder, children)
        configure(Console(ports["jcli"]), sys.argv[1], sys.argv[2])
        print(json.dumps({"event": "listening", "port": ports["smpp"]}), flush=True)
        sys.stdin.read()
    except Exception as error:
        with open(os.path.join(folder, "log"), errors="replace") as log:
            print(json.dumps({"event": "error", "message": f"{error!r}\n{log.read()[-4000:]}"}), flush=True)
        raise
    finally:
        for child in reversed(children):
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for child in children:
            child.wait()
        shutil.rmtree(folder, ignore_errors=True)


main()
