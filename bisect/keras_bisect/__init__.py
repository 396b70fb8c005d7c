"""Which build of Keras broke this script?"""
