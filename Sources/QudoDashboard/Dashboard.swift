internal import Qudo
