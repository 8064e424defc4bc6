"""The engine of MuseTalk 1.5: filmed faces that speak, made by networks on a GPU."""
