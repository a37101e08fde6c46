"""What changes a box's system, and can put it back: packages, kernel modules, boot options, alternatives.

Everything here runs on the box, with nothing but the standard library, and is asked for by roles.
"""
