"""What breaks in Keras, and how do I show it?"""
